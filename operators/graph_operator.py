"""What all operators of the graph have in common: named ports, one call per message, a stopwatch."""

from typing import Any, ClassVar

from monai.deploy.core import Fragment, Operator, OperatorSpec  # type: ignore[attr-defined]

from operators.run_record import RunRecord


class GraphOperator(Operator):  # type: ignore[misc]
    """A MONAI Deploy operator that receives one value per input, and emits what :meth:`process` returns.

    Subclasses name their ports and the stage under which their time is counted. Values travel as Python
    objects, without copies. ``None`` is not emitted: the operators behind are then not called.
    """

    stage: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ()
    output: ClassVar[str | None] = None

    def __init__(self, fragment: Fragment, record: RunRecord, name: str, *conditions: object) -> None:
        self.record = record
        super().__init__(fragment, *conditions, name=name)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        for name in self.inputs:
            spec.input(name)
        if self.output is not None:
            spec.output(self.output)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ANN401, ARG002
        """Receive, process, emit."""
        values = [op_input.receive(name) for name in self.inputs]
        with self.record.timed(self.stage):
            result = self.process(*values)
        if result is not None:
            op_output.emit(result, self.output)

    def process(self, *values: Any) -> object:  # noqa: ANN401
        """Return what the output port emits for one value of every input port."""
        raise NotImplementedError
