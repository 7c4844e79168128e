"""The triage agent: who asks, what are they entitled to, how urgent is it and what is it about."""

from graph.triage.graph import build_triage_graph
from graph.triage.state import TriageInput, TriageOutput, TriageReport

__all__ = ["TriageInput", "TriageOutput", "TriageReport", "build_triage_graph"]
