"""What producers reach over HTTP: `spendstream web`, stateless, any number of processes."""
