"""From the queues of every hop to the table of dead letters."""
