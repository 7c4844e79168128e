"""The support desk: the life of a ticket, from the first request to the customer's message."""
