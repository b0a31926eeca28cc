"""A Django site in one file."""

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(
    DEBUG=True,
    SECRET_KEY="for development only",
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}},
)

urlpatterns = [path("", lambda request: HttpResponse("hello\n"))]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
