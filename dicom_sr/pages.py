"""All pages of one result, in the order in which a reader turns them."""

from __future__ import annotations

from dicom_sr.finding_page import finding_pages, shows_a_finding
from dicom_sr.page import Page, PageFrame, picture_page, summary_pages
from node.domain.finding import Findings


def draw_pages(findings: Findings, frame: PageFrame) -> tuple[Page, ...]:
    """A summary, what does not fit on it, a page of each finding, one of each other key image."""
    alone = [key for key in findings.key_images if not shows_a_finding(findings, key)]
    return (
        *summary_pages(findings, frame),
        *finding_pages(findings, frame),
        *(picture_page(frame, key) for key in alone),
    )
