"""The routes of the view `/runs`."""

from __future__ import annotations

from fastapi import APIRouter

from fittingroom.studio.studio import Studio


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    del studio
    return APIRouter(prefix="/api")
