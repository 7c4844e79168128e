"""What `make bench` measures: all of it in one run, on one machine, as ratios where a comparison is possible."""
