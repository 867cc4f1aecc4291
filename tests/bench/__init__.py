"""What a payment costs: counted from the calls, priced, compared, and held against budgets."""
