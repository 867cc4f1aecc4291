"""Decide whether the payment may be taken, and record the decision."""

from florin.domain.payment import Step
from florin.edge.steps import step_handler

handler = step_handler(Step.ASSESS_RISK)
