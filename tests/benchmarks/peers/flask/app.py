import os

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)


def get_db_connection():
    return psycopg2.connect(os.environ["DATABASE_URL"])


@app.route("/hello")
def hello():
    return "hello"


@app.route("/health")
def health():
    try:
        conn = get_db_connection()
        cur = conn.cursor()
        cur.execute("SELECT 1")
        cur.fetchone()
        cur.close()
        conn.close()
        return jsonify(status="ok", database="up"), 200
    except Exception as e:
        return jsonify(status="error", database="down", error=str(e)), 503
