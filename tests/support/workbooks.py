# SPDX-License-Identifier: Apache-2.0
"""Workbooks for tests: written by openpyxl and xlwt, or part by part to be wrong on purpose."""

from __future__ import annotations

import zipfile

import openpyxl
import xlwt

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_OFFICE = "http://purl.oclc.org/ooxml/officeDocument/relationships"


def store_xlsx(path, sheets, *, epoch=None):
    """Write sheets of rows with openpyxl; a name that begins with “hidden” hides its sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    if epoch is not None:
        book.epoch = epoch
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if name.startswith("hidden") else "visible"
        for row in rows:
            sheet.append(row)
    book.save(path)


def store_xls(path, sheets):
    """Write sheets of rows with xlwt; dates get a date format."""
    book = xlwt.Workbook()
    style = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if hasattr(cell, "isoformat"):
                    sheet.write(number, column, cell, style)
                elif cell is not None:
                    sheet.write(number, column, cell)
    book.save(str(path))


def store_parts(
    path,
    sheet,
    *,
    workbook_pr="",
    strings=None,
    styles=None,
    strict=False,
    doctype="",
    target="worksheets/s.xml",
):
    """Write an .xlsx from the XML of its sheet data, for what no spreadsheet program would write."""
    main, office = (STRICT, STRICT_OFFICE) if strict else (MAIN, OFFICE)
    parts = {
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}">{workbook_pr}'
        '<sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{office}/worksheet" Target="{target}"/></Relationships>',
        "xl/worksheets/s.xml": f'{doctype}<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    if strings is not None:
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{main}">{strings}</sst>'
    if styles is not None:
        parts["xl/styles.xml"] = f'<styleSheet xmlns="{main}">{styles}</styleSheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
