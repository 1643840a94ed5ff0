"""What routing to cheaper tiers costs and does to quality, from shadow calls and outcomes."""
