"""Run the whole project on one machine: what stands behind `make run`, `make demo` and `make setup`."""
