"""Do what a payment owes after its authorization: captures by hand, refunds, a cancellation."""

from florin.edge.steps import follow_up_handler

handler = follow_up_handler()
