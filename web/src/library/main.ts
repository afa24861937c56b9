// SPDX-License-Identifier: MIT
import './library.css';

void import('hls.js');
