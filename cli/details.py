# SPDX-License-Identifier: Apache-2.0
"""Details of files that were refused as a whole, in Chinese: the clerk who sent one has to find the line, column or sheet.

The node says them in English, with ids, places and numbers in them. What stands here is the same sentence with the same
places; ``tests/unit/cli/test_details.py`` compares with the sources. A detail that is not here stays as it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

_SENTENCES: Final = {
    # node/readers/opening.py
    "file has {} bytes: want at most {}": "文件有 {} 字节，最多 {} 字节",
    "file is {}: want .xlsx, .xls, CSV or NDJSON": "文件是{}",
    "file holds nothing: {} bytes": "文件没有内容：{} 字节",
    "file is a web page or XML, whatever its name says: open it in Excel and save it as .xlsx": "不论扩展名是什么，内容是网页或 XML",
    "file is a JSON array: want one object a line (NDJSON)": "文件是 JSON 数组，应为每行一个对象（NDJSON）",
    "workbook is cut off or damaged, its archive cannot be opened: fetch or save it again": "文件不完整或已损坏，压缩包打不开",
    "archive holds two parts of one name: open it in Excel and save it as .xlsx again": "压缩包中有两个同名部件",
    "file is an .xlsb: open it in Excel and save it as .xlsx": "文件是 .xlsb，请用 Excel 另存为 .xlsx",
    "file is an archive but no .xlsx: want .xlsx, .xls, CSV or NDJSON": "文件是压缩包，但不是 .xlsx",
    "workbook is cut off, its archive has no end: fetch or save it again": "文件不完整，压缩包缺少结尾",
    "workbook is damaged, its archive has no end of the long form: fetch or save it again": "文件已损坏，压缩包缺少长格式的结尾",
    "archive lists {} parts in {} bytes: want at most {} in {}": "压缩包列出 {} 个部件、{} 字节，最多 {} 个、{} 字节",
    "workbook is protected by a password: save it without and send that": "文件设有密码",
    # node/readers/encodings.py, csv_file.py, ndjson_file.py
    "file is not all {}: {} of {} lines do not fit, the first is line {} at byte {}; want one of UTF-8 and GB18030 (GBK) throughout: "
    "save it in Excel as .xlsx or “CSV UTF-8”, and look at that line before you do": "不全是 {}：共有 {} 行不符（全部 {} 行），"
    "首处在第 {} 行、第 {} 字节；全文件须同为 UTF-8 或 GB18030（GBK）",
    "file is {}: want UTF-8 or GB18030; in Excel save it as “CSV UTF-8” or .xlsx": "文件是 {}，应为 UTF-8 或 GB18030",
    "file looks like UTF-16: want UTF-8 or GB18030; in Excel save it as “CSV UTF-8” or .xlsx": "文件像是 UTF-16，应为 UTF-8 或 GB18030",
    "a line is longer than {} bytes, behind byte {}: file is no table as text, or its ends of line are lost; export it again": "有一行"
    "超过 {} 字节，在第 {} 字节之后：不是文本表格，或换行符已丢失",
    "file is no text, or a damaged one: byte {} is zero; export or copy it again": "不是文本或已损坏：第 {} 字节为零",
    "file has more than {} columns: delete those that are no part of the table": "文件超过 {} 列",
    "more than {} rows have broken quotation marks: export the file again, as .xlsx": "超过 {} 行的引号不成对",
    # node/readers/workbook.py, bounded_pipe.py, sheet_xml.py
    "sheet has {} columns: want at most {}; delete those that are no part of it": "工作表有 {} 列，最多 {} 列",
    "workbook has no visible worksheet: show the one with the table": "没有可见的工作表，请取消隐藏有数据的那张",
    "{}; hidden sheets are not read: show the one with the table": "{}；隐藏的工作表不读取，请取消隐藏有数据的那张",
    "{} of {} visible sheets hold a table: hide all but one, or send each as a file": "有数据表的工作表 {} 张（可见的共 {} 张）",
    "workbook took longer to read than a reader may run: send it in parts": "读取时间超过上限",
    "the process that reads the workbook gave no answer in time and was ended: save the workbook as CSV or in parts, and import it "
    "again": "读取进程未及时应答，已被中止",
    "workbook broke its reader (exit code {}): open it in Excel and save it as .xlsx again": "读取进程因该文件而中止（退出码 {}）",
    "workbook needs more memory than a reader may take: save it as CSV or in parts": "读取所需内存超过上限",
    "workbook is cut off or damaged: fetch or save it again": "文件不完整或已损坏",
    "workbook is cut off or damaged inside: fetch or save it again": "文件内部不完整或已损坏",
    "a part of the workbook unpacks to more than {} bytes: save it as CSV or in parts": "有一个部件解压后超过 {} 字节",
    # node/records/headers.py
    "no header of {} in the first {} rows: the best names {} of {} mandatory columns, want at least {}": "按目录 {}，前 {} 行中"
    "最接近表头的一行只有 {} 个必填列（共 {} 个，至少须有 {} 个）",
    "mandatory columns of {} are missing: want {}": "{} 的必填列不全，缺：{}",
    "columns of {} occur twice: {}": "{} 有重复的列：{}",
}
_WORDS: Final = {
    "a PDF": " PDF",
    "an RTF text": " RTF 文本",
    "a gzip archive": " gzip 压缩包",
    "a RAR archive": " RAR 压缩包",
    "disclosure class": "信息使用范围",
    "others": "等",
    "and others": "等",
}
_COLUMNS: Final = " in columns "


def translate_detail(detail: str) -> str:
    """Say in Chinese why a file was refused; a detail that is not known comes back as it is."""
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(detail)
        if found is not None:
            return chinese.format(*(_translate_part(part) for part in found.groups()))
    return detail


def _translate_part(part: str) -> str:
    sentence = translate_detail(part)
    if sentence == part and _COLUMNS in part:
        return "；".join(_translate_columns(each) for each in part.split("; "))
    return _WORDS.get(sentence, sentence)


def _translate_columns(part: str) -> str:
    """Translate one of those that `header-duplicate` names, ``CF_WSH in columns 3 and 9``."""
    name, _, places = part.partition(_COLUMNS)
    numbers = "、".join(_WORDS.get(each, each) for each in places.split(" and "))
    return f"{_WORDS.get(name, name)} 在第 {numbers} 列" if places else _WORDS.get(name, name)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """What may hold another sentence comes first, then longer ones before those that may be their beginning."""
    return [
        (re.compile(re.escape(english).replace(r"\{\}", "(.+?)"), re.DOTALL), _SENTENCES[english])
        for english in sorted(_SENTENCES, key=lambda text: (text.startswith("{}"), len(text)), reverse=True)
    ]
