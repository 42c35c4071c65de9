"""Delivery: results are written once to the outbox and sent from there until the destination has them."""
