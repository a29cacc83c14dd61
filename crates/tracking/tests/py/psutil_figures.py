"""What MLflow's own system metrics would be now: psutil's figures, as JSON; `{}` without psutil."""

import json

try:
    import psutil

    memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
    figures = {
        "system/system_memory_usage_megabytes": memory.used / 1e6,
        "system/system_memory_usage_percentage": memory.used / memory.total * 100,
        "system/disk_usage_percentage": disk.percent,
        "system/disk_usage_megabytes": disk.used / 1e6,
        "system/disk_available_megabytes": disk.free / 1e6,
    }
except ImportError:
    figures = {}
print(json.dumps(figures))
