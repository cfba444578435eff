"""The rooms of the exact pixel SVM: frames, losses, objective, Hessian, solver, checkpoint, path."""
