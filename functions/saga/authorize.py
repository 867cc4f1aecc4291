"""Have the provider hold the amount."""

from florin.domain.payment import Step
from florin.edge.steps import step_handler

handler = step_handler(Step.AUTHORIZE)
