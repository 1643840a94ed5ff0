"""What gateways are told: may this team, this user, still make calls, and on which models."""
