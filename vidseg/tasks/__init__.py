"""What is predicted and how it is counted: one folder a task, behind one contract."""
