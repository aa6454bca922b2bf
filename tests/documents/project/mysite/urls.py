"""The pages of a Django project: a list, and a login by name."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path


def products(_request: HttpRequest) -> JsonResponse:
    """Lists what there is."""
    return JsonResponse(["tea", "coffee"], safe=False)


def enter(request: HttpRequest, name: str) -> HttpResponse:
    """Logs somebody in, in a database that is made for it."""
    call_command("migrate", verbosity=0)
    login(request, User.objects.get_or_create(username=name)[0])
    return HttpResponse(f"Hello {name}")


urlpatterns = [path("products/", products), path("enter/<name>", enter)]
