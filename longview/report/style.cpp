// The colours and the type of plots and pages. The six line colours are Okabe and Ito's, told apart with any colour vision,
// darkened for white paper and lightened for a dark screen.
#include "longview/report/style.h"

namespace longview {

std::string_view plot_style() {
  return R"(
.lv-plot{--lv-ink:#1c2127;--lv-soft:#5b6570;--lv-grid:#e4e7eb;--lv-axis:#9aa3ad;--lv-ground:#ffffff;--lv-past:#f4f2ec;--lv-mark:#8a6d1f;
--lv-c0:#0068ad;--lv-c1:#d04a00;--lv-c2:#008a63;--lv-c3:#b3559a;--lv-c4:#b27a00;--lv-c5:#3a9fdc;
font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
@media screen and (prefers-color-scheme:dark){.lv-plot{--lv-ink:#e8ebee;--lv-soft:#9da7b1;--lv-grid:#2b3137;--lv-axis:#5d6873;
--lv-ground:#15181c;--lv-past:#1e2125;--lv-mark:#d9b95b;
--lv-c0:#4fabf0;--lv-c1:#ff8a47;--lv-c2:#2fc89d;--lv-c3:#e79acb;--lv-c4:#efba3f;--lv-c5:#a4dcff}}
.lv-plot text{fill:var(--lv-ink)}
.lv-plot .lv-soft{fill:var(--lv-soft)}
.lv-plot .lv-title{font-size:14px;font-weight:600}
.lv-plot .lv-name{font-weight:600}
.lv-plot .lv-on{font-weight:600;fill:var(--lv-ground)}
.lv-plot .lv-halo{paint-order:stroke;stroke:var(--lv-ground);stroke-width:4px;stroke-linejoin:round}
.lv-plot .lv-grid{stroke:var(--lv-grid);stroke-width:1;fill:none}
.lv-plot .lv-axis{stroke:var(--lv-axis);stroke-width:1;fill:none}
.lv-plot .lv-past{fill:var(--lv-past)}
.lv-plot .lv-mark{stroke:var(--lv-mark);stroke-width:1.5;stroke-dasharray:4 3}
.lv-plot .lv-marked{fill:var(--lv-mark);font-weight:600}
.lv-plot .lv-band{fill:transparent}
.lv-plot .lv-band:hover{fill:var(--lv-axis);fill-opacity:.16}
.lv-plot .lv-line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round;pointer-events:stroke}
.lv-plot .lv-strong{stroke-width:4}
.lv-plot .lv-faint{stroke-width:1.25;stroke-opacity:.7}
.lv-plot .lv-riser{fill:none;stroke-width:1;stroke-opacity:.55}
.lv-plot .lv-dashed{stroke-dasharray:7 5}
.lv-plot .lv-lead{fill:none;stroke-width:1;stroke-opacity:.75}
.lv-plot .lv-beyond{fill:none;stroke-width:2;stroke-dasharray:1 5;stroke-linecap:round}
.lv-plot .lv-s0{stroke:var(--lv-c0)}.lv-plot .lv-s1{stroke:var(--lv-c1)}.lv-plot .lv-s2{stroke:var(--lv-c2)}
.lv-plot .lv-s3{stroke:var(--lv-c3)}.lv-plot .lv-s4{stroke:var(--lv-c4)}.lv-plot .lv-s5{stroke:var(--lv-c5)}
.lv-plot .lv-f0{fill:var(--lv-c0)}.lv-plot .lv-f1{fill:var(--lv-c1)}.lv-plot .lv-f2{fill:var(--lv-c2)}
.lv-plot .lv-f3{fill:var(--lv-c3)}.lv-plot .lv-f4{fill:var(--lv-c4)}.lv-plot .lv-f5{fill:var(--lv-c5)}
)";
}

std::string_view page_style() {
  return R"(
:root{color-scheme:light dark;--ink:#1c2127;--soft:#5b6570;--line:#dde1e6;--ground:#ffffff;--panel:#f6f7f9;--best:#e2f3ec;--good:#00704f;--bad:#b83a00}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e8ebee;--soft:#9da7b1;--line:#30363d;--ground:#15181c;--panel:#1d2126;--best:#173a2f;--good:#3ccf9f;--bad:#ff9a62}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);-webkit-text-size-adjust:100%;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 2rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 1rem;text-wrap:balance}
h2{font-size:1.15rem;margin:2.6rem 0 .7rem;line-height:1.3}
p{margin:.7rem 0;max-width:46rem}
.lead p{color:var(--soft)}
.lead p:first-child{font-size:1.2rem;line-height:1.45;color:var(--ink);font-weight:500}
figure{margin:1.2rem 0}
figure svg{display:block;width:100%;height:auto}
.narrow{display:none}
.scroll{overflow:auto;max-height:34rem;margin:.6rem 0;border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
table{border-collapse:collapse;font-size:.92rem;width:100%}
caption{text-align:left;color:var(--soft);padding:.5rem 0;caption-side:top}
th,td{padding:.42rem .8rem;text-align:left;white-space:nowrap;vertical-align:baseline}
th:first-child,td:first-child{padding-left:.3rem}
thead th{white-space:normal;vertical-align:bottom;line-height:1.3;position:sticky;top:0;background:var(--ground);color:var(--soft);font-weight:600;box-shadow:inset 0 -1px var(--line)}
tbody tr+tr td{border-top:1px solid var(--line)}
.num{text-align:right;font-variant-numeric:tabular-nums}
.good,.bad{font-weight:600}
.good{color:var(--good)}
.bad{color:var(--bad)}
td{font-variant-numeric:tabular-nums}
td.best{font-weight:700;background:var(--best)}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.4rem;margin:.6rem 0;padding:1rem 1.2rem;background:var(--panel);
border-radius:.6rem;font-size:.92rem}
dl.facts dt{color:var(--soft)}
dl.facts dd{margin:0;overflow-wrap:anywhere}
ul.named{margin:.6rem 0;padding:0;list-style:none;max-width:46rem}
ul.named li{padding:.45rem 0}
ul.named li+li{border-top:1px solid var(--line)}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
@media screen and (max-width:44rem){main{padding:1.4rem 1rem}h1{font-size:1.4rem}.lead p:first-child{font-size:1.08rem}
th,td{padding:.4rem .55rem}td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:6.5rem}.wide{display:none}.narrow{display:block}dl.facts{grid-template-columns:1fr;gap:0}dl.facts dd{margin-bottom:.5rem}}
@media print{@page{margin:16mm}body{font-size:10.5pt}main{max-width:none;padding:0}.scroll{overflow:visible;max-height:none}
thead th{white-space:normal;vertical-align:bottom;line-height:1.3;position:static}figure,tr,dl{break-inside:avoid}h2{break-after:avoid}td.best,dl.facts,.lv-past{print-color-adjust:exact}}
)";
}

}  // namespace longview
