"""Many files at once: what will be read and written, in which order, and what is already done.

words ──► plan (headers only) ──► jobs ──► read │ enlarge │ write, overlapped ──► journal
"""

from reslift.batch.naming import Naming, ignores_case, readable_suffixes
from reslift.batch.plan import Job, Plan, Request, plan

__all__ = ["Job", "Naming", "Plan", "Request", "ignores_case", "plan", "readable_suffixes"]
