# SPDX-License-Identifier: Apache-2.0
"""What to do about a file that was refused as a whole or not taken, in Chinese; the details of these errors say it in English."""

from __future__ import annotations

from typing import Final

ADVICE: Final = {
    "file-missing": "请检查路径",
    "file-empty": "请重新导出该文件",
    "file-too-large": "请分成几个文件报送",
    "file-changing": "节点未接收任何内容，请待导出结束后再报送",
    "file-format": "请重新导出或复制；可接受 .xlsx、.xls、CSV、NDJSON",
    "file-markup": "请用 Excel 打开后另存为 .xlsx",
    "file-encoding": "请用 Excel 打开后另存为 .xlsx 或“CSV UTF-8”，并先检查所指的行",
    "file-quotes": "引号混乱，请重新导出为 .xlsx",
    "file-columns": "请删除表格之外的列后保存",
    "workbook-cut": "请重新下载、复制或保存该工作簿",
    "workbook-encrypted": "请去掉密码后保存",
    "workbook-unreadable": "请用 Excel 或 WPS 打开后另存为 .xlsx",
    "workbook-too-large": "请另存为 CSV 或分成几个文件",
    "workbook-several-tables": "请只保留一张可见的数据表，其余隐藏或分别报送",
    "header-not-found": "请检查表头和 --item，列名见 docs/catalogue.md；隐藏的工作表不读取",
    "header-missing": "请补上所缺的列",
    "header-duplicate": "请删除重复的列",
    "body-size": "请分成几个文件报送",
    "upload-size": "请分成几个文件报送",
    "upload-empty": "请重新导出该文件",
    "upload-disk": "节点磁盘无法写入（多为已满），请管理员处理后重新报送",
}
