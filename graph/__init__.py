"""Triage and expert, the two agents of the support desk, as plain LangGraph graphs."""
