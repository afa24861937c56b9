// SPDX-License-Identifier: MIT
import './dashboard.css';
