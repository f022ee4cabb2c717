"""Django on ASGI, in one file: a view, a form with its checks, a template."""

import asgi
import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: for a test",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"hello.html": "<p>Hello, {{ name }}!</p>"},
                    )
                ]
            },
        }
    ],
)
django.setup()

from django import forms  # noqa: E402 - Django's settings come first
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402


class Order(forms.Form):
    amount = forms.IntegerField(min_value=1)


async def hello(request, name):
    return render(request, "hello.html", {"name": name})


async def order(request):
    form = Order(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    return JsonResponse(form.cleaned_data)


urlpatterns = [path("hello/<str:name>", hello), path("order", order)]
Default = asgi.entrypoint(get_asgi_application())
