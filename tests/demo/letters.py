"""Letters as a province writes them: real PDFs to sign."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.platypus import HRFlowable, Paragraph, SimpleDocTemplate, Spacer


@dataclass(frozen=True)
class Letter:
    file: str
    number: str
    subject: str
    body: tuple[str, ...]


LETTERS: Final = (
    Letter(
        "surat-undangan.pdf",
        "005/1204/DISKOMINFOS",
        "Undangan rapat koordinasi tanda tangan elektronik",
        (
            (
                "Bersama ini kami mengundang Saudara untuk hadir pada rapat koordinasi penerapan tanda tangan "
                "elektronik di lingkungan Pemerintah Provinsi Bali."
            ),
            "Demikian disampaikan, atas perhatian dan kehadiran Saudara kami ucapkan terima kasih.",
        ),
    ),
    Letter(
        "surat-keputusan.pdf",
        "188/77/HK/2026",
        "Penetapan tim pengelola segel elektronik",
        (
            (
                "Menetapkan tim pengelola segel elektronik dengan tugas menjaga perangkat kriptografi, "
                "mengelola sertifikat dan mengawasi pemakaiannya."
            ),
            "Keputusan ini mulai berlaku pada tanggal ditetapkan.",
        ),
    ),
    Letter(
        "izin-usaha.pdf",
        "503/9921/DPMPTSP",
        "Izin usaha mikro",
        ("Diberikan izin usaha kepada pemohon yang tersebut di bawah ini untuk jangka waktu lima tahun.",),
    ),
    Letter(
        "tanda-terima.pdf",
        "900/55012/BPKAD",
        "Tanda terima pembayaran retribusi",
        (
            "Telah diterima pembayaran retribusi daerah sejumlah Rp 1.250.000,00 (satu juta dua ratus lima puluh ribu rupiah).",
        ),
    ),
    Letter(
        "surat-tugas.pdf",
        "094/310/BKPSDM",
        "Surat perintah tugas",
        (
            "Memerintahkan kepada pegawai yang namanya tersebut dalam lampiran untuk melaksanakan tugas dinas.",
        ),
    ),
)


def write_letters(folder: Path) -> list[Path]:
    """Writes each letter as a PDF of one page; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / letter.file, letter) for letter in LETTERS]


def _write(path: Path, letter: Letter) -> Path:
    styles = getSampleStyleSheet()
    head = ParagraphStyle("head", parent=styles["Title"], fontSize=15, leading=19, spaceAfter=0)
    small = ParagraphStyle("small", parent=styles["Normal"], alignment=1, fontSize=9)
    text = ParagraphStyle("text", parent=styles["Normal"], fontSize=11, leading=16, firstLineIndent=1 * cm)
    story = [
        Paragraph("PEMERINTAH PROVINSI BALI", head),
        Paragraph("Jalan Basuki Rahmat, Niti Mandala, Denpasar (contoh)", small),
        Spacer(1, 6),
        HRFlowable(width="100%", thickness=2),
        Spacer(1, 18),
        Paragraph(f"Nomor : {letter.number}", styles["Normal"]),
        Paragraph(f"Hal : {letter.subject}", styles["Normal"]),
        Spacer(1, 18),
    ]
    for paragraph in letter.body:
        story += [Paragraph(paragraph, text), Spacer(1, 8)]
    story += [
        Spacer(1, 30),
        Paragraph("Dokumen ini disegel secara elektronik (contoh untuk pengujian).", small),
    ]
    SimpleDocTemplate(
        str(path), pagesize=A4, title=letter.subject, author="Pemerintah Provinsi Bali (contoh)", invariant=1
    ).build(story)
    return path
