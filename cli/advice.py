# SPDX-License-Identifier: Apache-2.0
"""What to do about an error, in Chinese, by its code; details of errors say it in English. Read when an error is shown."""

from __future__ import annotations

from typing import Final

FILE_ADVICE: Final = {
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
    "workbook-slow": "请另存为 CSV 或分成几个文件，再导入一次",
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
"""About a file that was refused as a whole or not taken."""

ADVICE: Final = {
    # settings, keys and passphrases: docs/runbooks/node-states.md
    "config-missing": "请用 --home 指明节点主目录；新节点先用 ironcage init 建立",
    "config-setting": "请改正 config.toml 中所指的设置，说明见 docs/configuration.md",
    "network-missing": "请把联盟的 network.json 复制到节点主目录",
    "passphrase-missing": "请提供口令文件或 systemd 凭据，见 docs/configuration.md",
    "keyfile-passphrase": "请核对口令；口令无误则该文件已损坏，从密钥备份放回",
    "keystore-passphrase": "请核对口令；口令无误则该文件已损坏，从密钥备份放回",
    "keyfile-form": "该密钥文件已损坏或放错，请从密钥备份放回",
    "keyfile-kind": "该密钥文件放错了位置，请从密钥备份放回",
    "keystore-form": "该密钥文件已损坏或放错，请从密钥备份放回",
    "key-missing": "请从密钥备份放回该文件；不要另建新密钥",
    "key-readable": "请收回他人的读取权限：chmod go= 该文件；密钥目录用 chmod -R go=",
    "key-unreadable": "请检查该文件的属主和磁盘（dmesg）",
    "keys-of-another-store": "密钥与存储不属于同一节点，请放回正确的密钥；未写入也未签名任何内容",
    "log-keys-differ": "密钥与存储不属于同一节点，请放回正确的密钥；未写入也未签名任何内容",
    # a node that does not run, or not for this
    "node-not-running": "请先启动节点：ironcage node run",
    "node-away": "请检查节点是否在运行，以及地址和网络",
    "listen-failed": "端口被占用：本节点可能已在运行，否则请换一个 listen_port",
    "store-locked": "请先停止正在运行的节点，再重试；切勿删除锁文件",
    "store-disk-full": "请腾出磁盘空间，见 docs/runbooks/disk-full.md",
    "store-open-failed": "请检查权限和磁盘本身（dmesg）",
    "store-write-failed": "请检查磁盘空间和磁盘本身（dmesg），再重新启动；已确认的数据不会丢失",
    "head-not-stored": "请检查日志头文件所在磁盘的空间和磁盘本身（dmesg），再重试",
    "key-not-stored": "请检查密钥目录所在磁盘的空间和权限，再重试；原有文件未变",
    # a store that is damaged or not the newest: docs/runbooks/backup.md
    "store-corrupt": "请原样保留该目录，从备份恢复整个存储，见 docs/runbooks/backup.md",
    "store-truncated": "请原样保留该目录，从备份恢复整个存储，见 docs/runbooks/backup.md",
    "store-main-missing": "请原样保留该目录，从备份恢复整个存储，见 docs/runbooks/backup.md",
    "store-secrets-missing": "请原样保留该目录，从备份恢复整个存储，见 docs/runbooks/backup.md",
    "store-main-behind": "请从同一份备份恢复整个存储，见 docs/runbooks/backup.md",
    "store-secrets-behind": "请从同一份备份恢复整个存储，见 docs/runbooks/backup.md",
    "store-other-node": "请检查 data_dir：这是其他节点的存储",
    "store-format-newer": "该存储由较新版本写入，请运行那个版本",
    "head-corrupt": "请保留这两个文件并检查磁盘；日志改由后继日志接续，见 docs/runbooks/backup.md",
    "backup-missing": "请指明备份目录本身（含 manifest.json）；以 .partial 结尾的是中断的备份",
    "backup-damaged": "请改用另一份备份",
    "backup-failed": "请在备份所在磁盘腾出空间或换一个目录，再重试；未写完的备份已删除",
    "restore-failed": "请在节点磁盘腾出空间后重试；未放回任何内容",
    "restore-unchecked": "不必再次放回；排除原因后用 ironcage log fsck 核对，再启动节点",
    "restore-not-empty": "请把已有存储移到别处保存，它可能更新，然后重试",
    # the chain: docs/runbooks/node-states.md
    "chain-away": "请检查链节点、网络和 rpc_url；恢复后重试",
    "chain-empty": "请让链节点带着原有数据启动；开发链若已删除，须重建网络",
    "chain-behind": "链节点正在追赶或恢复自旧备份，请等待；长时间不变时向其他成员核对",
    "chain-wrong-chain": "请检查 rpc_url 和 network.json：它们属于另一个网络",
    "chain-not-compared": "节点尚未与链核对：请用 ironcage node status 查看原因，核对后自动恢复",
    "anchor-limit": "上次上链距今过久，链恢复并上链后自动解除",
    # another file than was meant
    "json-member-missing": "请核对是否给错了文件，例如把证据当作策略",
    "json-member-unknown": "请核对是否给错了文件，例如把证据当作策略",
    "json-syntax": "文件不是 JSON：请核对是否给错了文件，或重新获取",
    # a record, or a kind of record
    "item-unknown": "请用 --item 指明所列目录项之一",
    "record-erased": "何时、因何删除：ironcage record erased 叶哈希",
    # who asks
    "token-missing": "请用 --token-file 指明令牌文件",
    "token-expired": "请管理员更换令牌：ironcage token rotate",
    "role-insufficient": "请用 --token-file 换用具有所需角色的令牌，令牌由 ironcage token create 建立",
}
"""About everything else."""
