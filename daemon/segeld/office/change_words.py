"""How a change stands, in one sentence for people: why, and what comes next with the command to run."""

from segeld.model.names import TokenName
from segeld.office.actions import InitializeToken, UnblockPin
from segeld.office.changes import Change, ChangeState


def next_step(change: Change, *, live: bool, outdated: str = "") -> str:
    """:param live: whether it is being run now, not left over by a crash.
    :param outdated: why it can never be run any more, though it has not ended.
    """
    number, requester = change.number, change.asked.name
    if outdated:
        return f"It cannot be run any more: {_ended(outdated)} To close it: segelctl change reject {number}"
    match change.state:
        case ChangeState.WAITING:
            before = f"{_ended(change.note)} " if change.note else ""
            return f"{before}It waits for an officer other than {requester}: segelctl change approve {number}"
        case ChangeState.APPROVED:
            before = f"Its last run changed nothing: {_ended(change.note)} " if change.note else ""
            return f"{before}It can be run by {requester}: segelctl change run {number}"
        case ChangeState.RUNNING if live:
            return f"{requester} is running it."
        case ChangeState.RUNNING:
            return (
                "It may have been run, wholly or in part: how it ended is not recorded. Look, then ask anew; to close "
                f"this one: segelctl change reject {number}"
            )
        case ChangeState.DONE:
            match change.action:
                case InitializeToken(token=token) | UnblockPin(token=token):
                    word = TokenName.parse(token).word
                    return f"It was run. Until {token} has its new PIN nothing is signed: segelctl token activate {word}"
                case _:
                    return "It was run."
        case ChangeState.REJECTED:
            by = change.decided.name if change.decided else "an officer"
            why = f": {_ended(change.note)}" if change.note else "."
            return f"{'Withdrawn' if by == requester else 'Rejected'} by {by}{why}"
        case ChangeState.EXPIRED:
            return "Nobody ran it in time. Ask anew."
        case ChangeState.FAILED:
            return _ended(change.note)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
