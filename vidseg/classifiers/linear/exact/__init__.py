"""The rooms of the exact pixel SVM: frames, losses, objective, sample, Newton, solver, path."""
