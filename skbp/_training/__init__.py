"""How training goes: solvers, update rules, schedules, and what is recorded on the way."""
