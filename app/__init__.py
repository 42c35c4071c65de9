"""The service: configuration, listener, durable workflow, delivery and command line."""
