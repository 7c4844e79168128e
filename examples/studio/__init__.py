"""LangGraph Studio on the threads that durable runs keep; see README.md."""
