"""What cheaper tiers cost and do to quality: pairs of calls and their shadows, and the estimate."""
