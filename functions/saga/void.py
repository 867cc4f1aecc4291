"""Undo of Authorize: have the provider let go of what it holds."""

from florin.domain.payment import Step
from florin.edge.steps import step_handler

handler = step_handler(Step.VOID)
