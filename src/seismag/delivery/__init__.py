"""What leaves the project: the demonstration, later reports, model cards and the service."""
