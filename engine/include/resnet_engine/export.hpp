#pragma once

/// Marks what the shared library exports; everything else is hidden.
#define RESNET_ENGINE_API __attribute__((visibility("default")))
