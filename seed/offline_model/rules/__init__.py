"""The rules by which the offline model decides; each module is a set of pure functions over text or JSON."""
