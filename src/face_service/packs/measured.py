"""Operating points of the catalogue's packs, as `face-service evaluate` prints them."""

from __future__ import annotations

from face_service.thresholds import IdentificationPoint, OperatingPoints, VerificationPoint

STARTER_POINTS = OperatingPoints(
    measured_on="LFW: 240 photos of 60 people, 360 pairs of one person, 28,320 of two",
    verification=(
        VerificationPoint(0.01, 0.242, 1.0),
        VerificationPoint(0.001, 0.336, 0.9944),
        VerificationPoint(0.0001, 0.429, 0.9778),
    ),
    identification=(
        IdentificationPoint(5, 0.1, 0.249, measured=True),
        IdentificationPoint(5, 0.01, 0.351, measured=True),
        IdentificationPoint(20, 0.1, 0.314, measured=True),
        IdentificationPoint(20, 0.01, 0.419, measured=True),
        IdentificationPoint(59, 0.1, 0.363, measured=True),
        IdentificationPoint(59, 0.01, 0.431, measured=True),
        IdentificationPoint(1000, 0.1, 0.474, measured=False),
        IdentificationPoint(1000, 0.01, 0.57, measured=False),
        IdentificationPoint(10000, 0.1, 0.569, measured=False),
        IdentificationPoint(10000, 0.01, 0.665, measured=False),
    ),
)
"""`face-service evaluate ../shared/faces/lfw --model starter`, 2026-11."""

OPEN_POINTS = OperatingPoints(
    measured_on="LFW: 240 photos of 60 people, 360 pairs of one person, 28,320 of two",
    verification=(
        VerificationPoint(0.01, 0.242, 1.0),
        VerificationPoint(0.001, 0.342, 1.0),
        VerificationPoint(0.0001, 0.423, 0.9778),
    ),
    identification=(
        IdentificationPoint(5, 0.1, 0.249, measured=True),
        IdentificationPoint(5, 0.01, 0.351, measured=True),
        IdentificationPoint(20, 0.1, 0.307, measured=True),
        IdentificationPoint(20, 0.01, 0.406, measured=True),
        IdentificationPoint(59, 0.1, 0.357, measured=True),
        IdentificationPoint(59, 0.01, 0.426, measured=True),
        IdentificationPoint(1000, 0.1, 0.461, measured=False),
        IdentificationPoint(1000, 0.01, 0.551, measured=False),
        IdentificationPoint(10000, 0.1, 0.549, measured=False),
        IdentificationPoint(10000, 0.01, 0.639, measured=False),
    ),
)
"""`face-service evaluate ../shared/faces/lfw --model open`, 2026-11."""
