"""`segel job`: batches that outlive this command and the daemon."""

import typer

from segel.cli import job_decide, job_follow, job_results, job_submit

app = typer.Typer(no_args_is_help=True, help="Batches of any size that outlive this command and the daemon.")

job_submit.register(app)
job_follow.register(app)
job_results.register(app)
job_decide.register(app)
