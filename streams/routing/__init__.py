"""Training of the linear model that a router in front of the models may ask for a tier."""
