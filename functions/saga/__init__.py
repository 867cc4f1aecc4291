"""The steps of the payment saga, each named as the state of the state machine that it serves."""
