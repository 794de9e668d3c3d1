"""Names of units that pint does not know, or knows as something else, and what it calls them."""

from __future__ import annotations

SPELLINGS = {
    "ohms": "ohm", "Ω": "ohm", "Å": "angstrom", "sec": "second", "secs": "second", "hrs": "hour", "hr": "hour",
    "mins": "minute", "cc": "cm3", "amu": "unified_atomic_mass_unit", "torr": "mmHg", "Torr": "mmHg", "C": "coulomb",
    "M": "molar", "mM": "millimolar", "l": "liter", "ℓ": "liter", "yr": "year", "yrs": "year", "percent": "%",
    "pct": "%", "％": "%", "deg": "degree", "degrees": "degree", "radians": "radian", "rads": "radian",
    "revolutions": "revolution", "°": "degree", "AU": "astronomical_unit", "Cal": "kilocalorie", "atm": "atmosphere",
    "lbs": "pound", "metre": "meter", "metres": "meter", "litre": "liter", "litres": "liter", "celsius": "°C",
    "Celsius": "°C", "fahrenheit": "°F", "Fahrenheit": "°F", "Kelvin": "kelvin", "gram": "gram", "rev": "revolution",
    "weeks": "week", "cents": "¢", "cent": "¢", "dollars": "$", "dollar": "$", "USD": "$", "euros": "€", "euro": "€",
    "EUR": "€", "pounds sterling": "£", "yuan": "¥", "RMB": "¥", "CNY": "¥", "mcg": "microgram",
}  # fmt: skip
CHINESE = {
    "米": "meter", "厘米": "centimeter", "毫米": "millimeter", "千米": "kilometer", "公里": "kilometer",
    "微米": "micrometer", "纳米": "nanometer", "分米": "decimeter", "秒": "second", "分钟": "minute", "小时": "hour",
    "分": "minute",
    "时": "hour", "天": "day", "千克": "kilogram", "公斤": "kilogram", "克": "gram", "毫克": "milligram",
    "吨": "metric_ton", "升": "liter", "毫升": "milliliter", "牛": "newton", "牛顿": "newton", "焦": "joule",
    "焦耳": "joule", "千焦": "kilojoule", "瓦": "watt", "瓦特": "watt", "千瓦": "kilowatt", "伏": "volt",
    "伏特": "volt", "安": "ampere", "安培": "ampere", "欧": "ohm", "欧姆": "ohm", "赫兹": "hertz", "帕": "pascal",
    "帕斯卡": "pascal", "摩尔": "mole", "开尔文": "kelvin", "摄氏度": "°C", "华氏度": "°F", "度": "degree", "元": "¥",
    "平方米": "m2", "平方厘米": "cm2", "平方千米": "km2", "立方米": "m3", "立方厘米": "cm3", "岁": "year",
    "年": "year", "月": "month",
}  # fmt: skip
ALIASES = {**SPELLINGS, **CHINESE}
