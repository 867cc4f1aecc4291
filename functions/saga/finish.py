"""End a payment of which nothing is left to undo."""

from florin.domain.payment import Step
from florin.edge.steps import step_handler

handler = step_handler(Step.FINISH)
