"""The listener: DIMSE in, files out. It imports no torch, monai or holoscan and is ready in two seconds.

What a sender is answered, and what becomes of what it sent:

- **0x0000** means: the instance is on disk for good, file and folder. Images of every storage class and of
  the transfer syntaxes in :data:`app.listener.node.TRANSFER_SYNTAXES` go to the inbox; the study is judged
  later, so damaged images and mixed patients (PATIENT-MIXED) are acknowledged, and the study then refused.
- Results, reports and states (SEG, PM, SR, SC, KO, PR, our own UIDs, series described as ``AI ...``) are
  acknowledged too, and kept beside the inbox, where nothing is ever processed.
- The same instance again with the same bytes is a success and changes nothing. With other bytes it is
  answered **0xB000** and not taken: the first is kept, and the study list has a note.
- **0xA700**: there is no space; **0xA900**: a UID is missing, hostile, or not the one announced; **0xC000**:
  not a data set. Nothing of these is kept. A malformed message aborts its association, and no other.
"""
