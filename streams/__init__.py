"""The application: one subpackage per stage, and the command line."""
