// The one EXIF field that matters to us: how the camera was held. Everything else in EXIF (place,
// time, camera) is never read.
#pragma once

#include "base/checked.h"
#include "image/header.h"

namespace dermlens::codec {

// `exif` is a TIFF block, with or without the "Exif\0\0" before it. Garbage means upright.
Orientation exif_orientation(ByteView exif);

}  // namespace dermlens::codec
