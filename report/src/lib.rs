//! Self-contained HTML reports with SVG figures drawn from typed artifacts.
